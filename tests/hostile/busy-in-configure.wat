;; Attacks the lanes: `configure` computes for some tens of milliseconds, and `handle` traps, so that every message needs a new instance.
(module
  (memory (export "memory") 1)
  (global $next (mut i32) (i32.const 1024))
  (func $realloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
    (global.set $next (i32.add (local.get $at) (local.get 3)))
    (local.get $at))
  (func (export "trackside:plugin/stage@0.1.0#configure") (param i32 i32) (result i32)
    (local $left i32)
    (local.set $left (i32.const 60000000))
    (loop $again
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $again (local.get $left)))
    (i32.const 16))
  (func (export "trackside:plugin/stage@0.1.0#handle") (result i32)
    (unreachable)))
