;; Attacks the host's memory: it splits every message into seven parts of a mebibyte for the next stage.
(module
  (memory (export "memory") 32)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func (export "trackside:plugin/stage@0.1.0#configure") (param i32 i32) (result i32) (i32.const 16))
  (func (export "trackside:plugin/stage@0.1.0#handle") (result i32)
    (local $part i32)
    ;; Each has the same payload, no headers and no route.
    (local.set $part (i32.const 4096))
    (loop $fill
      (i32.store (local.get $part) (i32.const 65536))
      (i32.store offset=4 (local.get $part) (i32.const 1048576))
      (local.set $part (i32.add (local.get $part) (i32.const 28)))
      (br_if $fill (i32.lt_u (local.get $part) (i32.const 4292))))
    (i32.store (i32.const 36) (i32.const 2))
    (i32.store (i32.const 40) (i32.const 4096))
    (i32.store (i32.const 44) (i32.const 7))
    (i32.const 32)))
