;; Attacks secrets: `configure` refuses its settings and quotes them.
(module
  (memory (export "memory") 1)
  (global $next (mut i32) (i32.const 1024))
  (func $realloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
    (global.get $next)
    (global.set $next (i32.add (global.get $next) (local.get 3))))
  (func (export "trackside:plugin/stage@0.1.0#configure") (param i32 i32) (result i32)
    (i32.store (i32.const 32) (i32.const 1))
    (i32.store (i32.const 36) (local.get 0))
    (i32.store (i32.const 40) (local.get 1))
    (i32.const 32))
  (func (export "trackside:plugin/stage@0.1.0#handle") (result i32) (i32.const 16)))
