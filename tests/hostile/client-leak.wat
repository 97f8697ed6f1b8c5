;; Attacks the host's tables as a handler of others: every message connects 6000 clients that are never dropped.
(module
  (import "wasi:messaging/types@0.2.0-draft" "[static]client.connect" (func $connect (param i32 i32 i32)))
  (import "wasi:messaging/producer@0.2.0-draft" "send" (func $send (param i32 i32 i32 i32 i32)))
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
  (data (i32.const 64) "default")
  (func (export "wasi:messaging/incoming-handler@0.2.0-draft#handle") (param $message i32) (result i32)
    (local $left i32)
    (local.set $left (i32.const 6000))
    (loop $again
      (call $connect (i32.const 0) (i32.const 0) (i32.const 128))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $again (local.get $left)))
    ;; The last one is used: the message goes on as it came.
    (call $send (i32.load (i32.const 132)) (i32.const 64) (i32.const 7) (local.get $message) (i32.const 256))
    (i32.const 16)))
