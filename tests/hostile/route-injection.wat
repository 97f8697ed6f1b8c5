;; Attacks the protocol: it takes a route whose name is a line of it.
(module
  (memory (export "memory") 1)
  (global $next (mut i32) (i32.const 1024))
  (func $realloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
    (global.set $next (i32.add (local.get $at) (local.get 3)))
    (local.get $at))
  (func (export "trackside:plugin/stage@0.1.0#configure") (param i32 i32) (result i32) (i32.const 16))
  (data (i32.const 32) "\00\00\00\00\01\00\00\00\30\00\00\00\01\00\00\00\00\01\00\00\1a\00\00\00")
  (data (i32.const 256) "default\0d\0aPUB secret 1\0d\0ax\1b[")
  (func (export "trackside:plugin/stage@0.1.0#handle") (result i32)
    (i32.const 32)))
