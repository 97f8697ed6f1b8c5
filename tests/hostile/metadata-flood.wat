;; Attacks the host's memory as a handler of others: it makes messages with 100,000 entries of one byte for ever.
(module
  (import "wasi:messaging/types@0.2.0-draft" "[constructor]message" (func $message (param i32 i32) (result i32)))
  (import "wasi:messaging/types@0.2.0-draft" "[method]message.set-metadata" (func $set_metadata (param i32 i32 i32)))
  (memory (export "memory") 64)
  (global $next (mut i32) (i32.const 4000000))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
    (global.set $next (i32.add (local.get $at) (local.get 3)))
    (local.get $at))
  (data (i32.const 64) "X")
  (func (export "wasi:messaging/incoming-handler@0.2.0-draft#handle") (param i32) (result i32)
    (local $at i32)
    (local.set $at (i32.const 1024))
    ;; Each is a name, `X`, and an empty value.
    (loop $fill
      (i32.store (local.get $at) (i32.const 64))
      (i32.store offset=4 (local.get $at) (i32.const 1))
      (local.set $at (i32.add (local.get $at) (i32.const 16)))
      (br_if $fill (i32.lt_u (local.get $at) (i32.const 1601024))))
    (loop $again
      (call $set_metadata (call $message (i32.const 0) (i32.const 0)) (i32.const 1024) (i32.const 100000))
      (br $again))
    (unreachable)))
