;; Attacks the log: `handle` writes a line of a mebibyte for ever.
(module
  (import "trackside:plugin/log@0.1.0" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 32)
  (global $next (mut i32) (i32.const 1024))
  (func $realloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
    (global.set $next (i32.add (local.get $at) (local.get 3)))
    (local.get $at))
  (func (export "trackside:plugin/stage@0.1.0#configure") (param i32 i32) (result i32) (i32.const 16))
  (func (export "trackside:plugin/stage@0.1.0#handle") (result i32)
    (loop $again (call $log (i32.const 3) (i32.const 1024) (i32.const 1048576)) (br $again))
    (unreachable)))
