;; Attacks the network: it imports `wasi:sockets` to open a socket, and puts the error code, one byte, in the payload.
(module
  (import "trackside:plugin/message@0.1.0" "set-payload" (func $set_payload (param i32 i32)))
  (import "wasi:sockets/tcp-create-socket@0.2.0" "create-tcp-socket" (func $create (param i32 i32)))
  (memory (export "memory") 1)
  (global $next (mut i32) (i32.const 1024))
  (func $realloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
    (global.get $next)
    (global.set $next (i32.add (global.get $next) (local.get 3))))
  (func (export "trackside:plugin/stage@0.1.0#configure") (param i32 i32) (result i32) (i32.const 16))
  (func (export "trackside:plugin/stage@0.1.0#handle") (result i32)
    (call $create (i32.const 0) (i32.const 64))
    ;; the payload begins with 1 for an error
    (i32.store8 (i32.const 72) (i32.load8_u (i32.const 64)))
    (i32.store8 (i32.const 73) (i32.load8_u (i32.const 68)))
    (call $set_payload (i32.const 72) (i32.const 2))
    (i32.const 16)))
