;; Attacks the host's tables as a handler of others: it connects clients for ever and drops none.
(module
  (import "wasi:messaging/types@0.2.0-draft" "[static]client.connect" (func $connect (param i32 i32 i32)))
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
  (func (export "wasi:messaging/incoming-handler@0.2.0-draft#handle") (param i32) (result i32)
    (loop $again
      (call $connect (i32.const 0) (i32.const 0) (i32.const 128))
      (br $again))
    (unreachable)))
