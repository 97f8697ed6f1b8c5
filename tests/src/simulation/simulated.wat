;; The plugin of the simulation: the first letter of the header `Do` says what it does with the message.
(module
  (import "trackside:plugin/message@0.1.0" "get-header" (func $get_header (param i32 i32 i32)))
  (import "trackside:plugin/message@0.1.0" "headers" (func $headers (param i32)))
  (import "trackside:plugin/message@0.1.0" "payload" (func $payload (param i32)))
  (import "trackside:plugin/message@0.1.0" "set-payload" (func $set_payload (param i32 i32)))
  (import "trackside:plugin/message@0.1.0" "delivery" (func $delivery (result i32)))
  (memory (export "memory") 1)
  (global $next (mut i32) (i32.const 4096))
  (func $realloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
    (global.get $next)
    (global.set $next (i32.add (global.get $next) (local.get 3))))
  ;; How often `m` and `u` were asked for since this instance was made.
  (global $asked (mut i32) (i32.const 0))
  ;; Verdicts. 16: forward, all zeros. 32: route a. 48: routes a and b. 64: a route that no rule declares.
  (data (i32.const 32) "\00\00\00\00\01\00\00\00\40\01\00\00\01\00\00\00")
  (data (i32.const 48) "\00\00\00\00\01\00\00\00\40\01\00\00\02\00\00\00")
  (data (i32.const 64) "\00\00\00\00\01\00\00\00\50\01\00\00\01\00\00\00")
  ;; 80: split into two. 96: split into none. 112: drop. 128: reject.
  (data (i32.const 80) "\00\00\00\00\02\00\00\00\00\03\00\00\02\00\00\00")
  (data (i32.const 96) "\00\00\00\00\02\00\00\00\00\03\00\00\00\00\00\00")
  (data (i32.const 112) "\00\00\00\00\03\00\00\00\08\01\00\00\04\00\00\00")
  (data (i32.const 128) "\00\00\00\00\04\00\00\00\10\01\00\00\05\00\00\00")
  ;; 144: retry. 176: retry after 300 ms. 208: fatal.
  (data (i32.const 144) "\01\00\00\00\00\00\00\00\18\01\00\00\05\00\00\00\00\00\00\00\00\00\00\00")
  (data (i32.const 176) "\01\00\00\00\00\00\00\00\18\01\00\00\05\00\00\00\01\00\00\00\2c\01\00\00")
  (data (i32.const 208) "\01\00\00\00\01\00\00\00\20\01\00\00\06\00\00\00")
  (data (i32.const 256) "Doabz")
  (data (i32.const 264) "idle")
  (data (i32.const 272) "unfit")
  (data (i32.const 280) "later")
  (data (i32.const 288) "broken")
  ;; 320: the routes a and b. 336: the route z.
  (data (i32.const 320) "\02\01\00\00\01\00\00\00\03\01\00\00\01\00\00\00")
  (data (i32.const 336) "\04\01\00\00\01\00\00\00")
  (func (export "trackside:plugin/stage@0.1.0#configure") (param i32 i32) (result i32) (i32.const 16))
  (func (export "trackside:plugin/stage@0.1.0#handle") (result i32)
    (local $do i32)
    (global.set $next (i32.const 4096))
    (call $get_header (i32.const 256) (i32.const 2) (i32.const 512))
    (if (i32.eqz (i32.load8_u (i32.const 512))) (then (return (i32.const 16))))
    (local.set $do (i32.load8_u (i32.load (i32.const 516))))
    ;; a: route a
    (if (i32.eq (local.get $do) (i32.const 97)) (then (return (i32.const 32))))
    ;; b: routes a and b
    (if (i32.eq (local.get $do) (i32.const 98)) (then (return (i32.const 48))))
    ;; c: change the payload's first byte, and forward
    (if (i32.eq (local.get $do) (i32.const 99)) (then
      (call $payload (i32.const 520))
      (i32.store8 (i32.load (i32.const 520)) (i32.const 33))
      (call $set_payload (i32.load (i32.const 520)) (i32.load (i32.const 524)))
      (return (i32.const 16))))
    ;; d: drop
    (if (i32.eq (local.get $do) (i32.const 100)) (then (return (i32.const 112))))
    ;; e: split into nothing
    (if (i32.eq (local.get $do) (i32.const 101)) (then (return (i32.const 96))))
    ;; g: give up
    (if (i32.eq (local.get $do) (i32.const 103)) (then (return (i32.const 208))))
    ;; m: retry, two of three times
    (if (i32.eq (local.get $do) (i32.const 109)) (then
      (global.set $asked (i32.add (global.get $asked) (i32.const 1)))
      (if (i32.rem_u (global.get $asked) (i32.const 3)) (then (return (i32.const 144))))
      (return (i32.const 16))))
    ;; n: retry after a while until the third delivery
    (if (i32.eq (local.get $do) (i32.const 110)) (then
      (if (i32.lt_u (call $delivery) (i32.const 3)) (then (return (i32.const 176))))
      (return (i32.const 16))))
    ;; o: a route that no rule declares
    (if (i32.eq (local.get $do) (i32.const 111)) (then (return (i32.const 64))))
    ;; s: split into a part with the route a and one without a route, both as the message is
    (if (i32.eq (local.get $do) (i32.const 115)) (then
      (call $payload (i32.const 520))
      (call $headers (i32.const 528))
      (i64.store (i32.const 768) (i64.load (i32.const 520)))
      (i64.store (i32.const 776) (i64.load (i32.const 528)))
      (i32.store (i32.const 784) (i32.const 1))
      (i32.store (i32.const 788) (i32.const 258))
      (i32.store (i32.const 792) (i32.const 1))
      (i64.store (i32.const 796) (i64.load (i32.const 520)))
      (i64.store (i32.const 804) (i64.load (i32.const 528)))
      (i32.store (i32.const 812) (i32.const 0))
      (return (i32.const 80))))
    ;; t: trap
    (if (i32.eq (local.get $do) (i32.const 116)) (then (unreachable)))
    ;; u: trap every second time
    (if (i32.eq (local.get $do) (i32.const 117)) (then
      (global.set $asked (i32.add (global.get $asked) (i32.const 1)))
      (if (i32.eqz (i32.rem_u (global.get $asked) (i32.const 2))) (then (unreachable)))
      (return (i32.const 16))))
    ;; x: reject
    (if (i32.eq (local.get $do) (i32.const 120)) (then (return (i32.const 128))))
    ;; y: retry
    (if (i32.eq (local.get $do) (i32.const 121)) (then (return (i32.const 144))))
    ;; anything else: forward
    (i32.const 16)))
