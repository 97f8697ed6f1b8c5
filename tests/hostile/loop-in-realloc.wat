;; Attacks the deadline where the host calls the guest: its allocator never ends.
(module
  (import "trackside:plugin/message@0.1.0" "payload" (func $payload (param i32)))
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (loop $again (br $again))
    (unreachable))
  (func (export "trackside:plugin/stage@0.1.0#configure") (param i32 i32) (result i32) (i32.const 16))
  (func (export "trackside:plugin/stage@0.1.0#handle") (result i32)
    (call $payload (i32.const 64))
    (i32.const 16)))
