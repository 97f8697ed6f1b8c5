;; Attacks the broker: `handle` splits into a part with the headers `Nats-Rollup: all` and `A: b`, which takes the route `x`.
(module
  (memory (export "memory") 1)
  (global $next (mut i32) (i32.const 1024))
  (func $realloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
    (global.get $next)
    (global.set $next (i32.add (global.get $next) (local.get 3))))
  (data (i32.const 32) "\00\00\00\00\02\00\00\00\40\00\00\00\01\00\00\00")
  ;; payload, headers, route
  (data (i32.const 64) "\00\02\00\00\02\00\00\00\80\00\00\00\02\00\00\00\01\00\00\00\02\02\00\00\01\00\00\00")
  (data (i32.const 128) "\10\02\00\00\0b\00\00\00\20\02\00\00\03\00\00\00\28\02\00\00\01\00\00\00\29\02\00\00\01\00\00\00")
  (data (i32.const 512) "{}x")
  (data (i32.const 528) "Nats-Rollup")
  (data (i32.const 544) "all")
  (data (i32.const 552) "Ab")
  (func (export "trackside:plugin/stage@0.1.0#configure") (param i32 i32) (result i32) (i32.const 16))
  (func (export "trackside:plugin/stage@0.1.0#handle") (result i32)
    (i32.const 32)))
