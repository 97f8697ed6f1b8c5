;; Attacks the host's stack from within a host call: its allocator calls itself for ever.
(module
  (import "trackside:plugin/message@0.1.0" "payload" (func $payload (param i32)))
  (memory (export "memory") 1)
  (func $deeper (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (i32.add (call $deeper (local.get 3) (local.get 2) (local.get 1) (local.get 0)) (i32.const 1)))
  (func (export "trackside:plugin/stage@0.1.0#configure") (param i32 i32) (result i32) (i32.const 16))
  (func (export "trackside:plugin/stage@0.1.0#handle") (result i32)
    (call $payload (i32.const 64))
    (i32.const 16)))
