;; Attacks on demand: the payload's first byte says what `handle` does. `t` traps, `x` rejects, `d` drops, `r` with a
;; digit asks for another try until it is that one, `s` is slow, and everything else is forwarded.
(module
  (import "trackside:plugin/message@0.1.0" "payload" (func $payload (param i32)))
  (import "trackside:plugin/message@0.1.0" "delivery" (func $delivery (result i32)))
  (memory (export "memory") 2)
  (global $next (mut i32) (i32.const 1024))
  (func $realloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
    (global.set $next (i32.add (local.get $at) (local.get 3)))
    (local.get $at))
  ;; At 32: another try, without a time.
  (data (i32.const 32) "\01\00\00\00\00\00\00\00\00\01\00\00\05\00\00\00\00\00\00\00")
  ;; At 64: reject. At 96: drop.
  (data (i32.const 64) "\00\00\00\00\04\00\00\00\00\01\00\00\05\00\00\00")
  (data (i32.const 96) "\00\00\00\00\03\00\00\00\00\01\00\00\05\00\00\00")
  (data (i32.const 256) "asked")
  (func (export "trackside:plugin/stage@0.1.0#configure") (param i32 i32) (result i32) (i32.const 16))
  (func (export "trackside:plugin/stage@0.1.0#handle") (result i32)
    (local $text i32)
    (local $first i32)
    (local $turns i32)
    (global.set $next (i32.const 1024))
    (call $payload (i32.const 512))
    (if (i32.eqz (i32.load (i32.const 516))) (then (return (i32.const 16))))
    (local.set $text (i32.load (i32.const 512)))
    (local.set $first (i32.load8_u (local.get $text)))
    (if (i32.eq (local.get $first) (i32.const 116)) (then (unreachable)))
    (if (i32.eq (local.get $first) (i32.const 120)) (then (return (i32.const 64))))
    (if (i32.eq (local.get $first) (i32.const 100)) (then (return (i32.const 96))))
    (if (i32.eq (local.get $first) (i32.const 115))
      (then
        (local.set $turns (i32.const 1000000))
        (loop $turn
          (local.set $turns (i32.sub (local.get $turns) (i32.const 1)))
          (br_if $turn (local.get $turns)))))
    (if (i32.and
          (i32.eq (local.get $first) (i32.const 114))
          (i32.lt_u
            (call $delivery)
            (i32.sub (i32.load8_u (i32.add (local.get $text) (i32.const 1))) (i32.const 48))))
      (then (return (i32.const 32))))
    (i32.const 16)))
