;; Attacks the host with copies: `handle` asks for the payload for ever.
(module
  (import "trackside:plugin/message@0.1.0" "payload" (func $payload (param i32)))
  (memory (export "memory") 64)
  (global $next (mut i32) (i32.const 1024))
  (func $realloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
    (global.get $next)
    (global.set $next (i32.add (global.get $next) (local.get 3))))
  (func (export "trackside:plugin/stage@0.1.0#configure") (param i32 i32) (result i32) (i32.const 16))
  (func (export "trackside:plugin/stage@0.1.0#handle") (result i32)
    (loop $again
      (global.set $next (i32.const 1024))
      (call $payload (i32.const 64))
      (br $again))
    (unreachable)))
