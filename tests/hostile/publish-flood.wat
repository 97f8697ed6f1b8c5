;; Attacks the host's memory as a handler of others: it publishes empty messages for ever.
(module
  (import "wasmcloud:messaging/consumer@0.2.0" "publish" (func $publish (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (memory (export "memory") 64)
  (global $next (mut i32) (i32.const 4000000))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
    (global.set $next (i32.add (local.get $at) (local.get 3)))
    (local.get $at))
  (data (i32.const 64) "default")
  (func (export "wasmcloud:messaging/handler@0.2.0#handle-message")
    (param i32 i32 i32 i32 i32 i32 i32) (result i32)
    (loop $again
      (call $publish (i32.const 64) (i32.const 7) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
        (i32.const 128))
      (br $again))
    (unreachable)))
