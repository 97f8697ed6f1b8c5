;; Attacks the log: every message writes 1000 lines with line ends, escapes and a forged level in them.
(module
  (import "trackside:plugin/log@0.1.0" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 1)
  (global $next (mut i32) (i32.const 1024))
  (func $realloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
    (global.get $next)
    (global.set $next (i32.add (global.get $next) (local.get 3))))
  (data (i32.const 256) "one\0d\0a2026-11-22T00:00:00Z ERROR forged\1b[31m")
  (func (export "trackside:plugin/stage@0.1.0#configure") (param i32 i32) (result i32) (i32.const 16))
  (func (export "trackside:plugin/stage@0.1.0#handle") (result i32)
    (local $left i32)
    (local.set $left (i32.const 1000))
    (loop $again
      (call $log (i32.const 3) (i32.const 256) (i32.const 43))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $again (local.get $left)))
    (i32.const 16)))
