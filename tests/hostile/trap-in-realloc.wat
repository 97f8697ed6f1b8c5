;; Attacks a host call: the allocator traps while the host hands the payload over.
(module
  (import "trackside:plugin/message@0.1.0" "payload" (func $payload (param i32)))
  (memory (export "memory") 1)
  (global $armed (mut i32) (i32.const 0))
  (func $realloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    ;; not before `handle`: `configure` is given its settings too
    (if (i32.eqz (global.get $armed)) (then (return (i32.const 1024))))
    (unreachable))
  (func (export "trackside:plugin/stage@0.1.0#configure") (param i32 i32) (result i32) (i32.const 16))
  (func (export "trackside:plugin/stage@0.1.0#handle") (result i32)
    (global.set $armed (i32.const 1))
    (call $payload (i32.const 64))
    (i32.const 16)))
