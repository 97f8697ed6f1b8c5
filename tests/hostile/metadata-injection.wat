;; Attacks the protocol as a handler of others: an entry of its metadata has a line end and a line behind it.
(module
  (import "wasi:messaging/types@0.2.0-draft" "[method]message.add-metadata"
    (func $add_metadata (param i32 i32 i32 i32 i32)))
  (memory (export "memory") 64)
  (global $next (mut i32) (i32.const 4000000))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
    (global.set $next (i32.add (local.get $at) (local.get 3)))
    (local.get $at))
  (data (i32.const 64) "X-A")
  (data (i32.const 80) "1\r\nNats-Rollup: all")
  (func (export "wasi:messaging/incoming-handler@0.2.0-draft#handle") (param $message i32) (result i32)
    (call $add_metadata (local.get $message) (i32.const 64) (i32.const 3) (i32.const 80) (i32.const 19))
    (i32.const 128)))
