;; Products of a matrix of 8-bit integers with vectors of float32, eight weights at a time (SIMD of 128 bits).
;;
;;   y[row] = scale[row] * sum over column of w[row, column] * x[column]
;;
;; w, scale, x, y are addresses in the memory, in bytes. `columns` is a multiple of 8: the caller pads with zeros.
;; Whoever calls this has checked that all of it lies in the memory; outside, WebAssembly stops with an error.
;; Built into kernel.js by cohort_cli/showcase/kernel.py.
(module
  (import "env" "memory" (memory 1))

  ;; a + b + c + d of a vector of four
  (func $sum (param $v v128) (result f32)
    (f32.add
      (f32.add (f32x4.extract_lane 0 (local.get $v)) (f32x4.extract_lane 1 (local.get $v)))
      (f32.add (f32x4.extract_lane 2 (local.get $v)) (f32x4.extract_lane 3 (local.get $v)))))

  ;; one vector: what a single new token needs
  (func (export "product1")
    (param $w i32) (param $scale i32) (param $x i32) (param $y i32) (param $rows i32) (param $columns i32)
    (local $at i32) (local $end i32) (local $eight v128) (local $a v128) (local $b v128)
    (if (i32.eqz (local.get $rows)) (then (return)))
    (loop $row
      (local.set $at (local.get $x))
      (local.set $end (i32.add (local.get $w) (local.get $columns)))
      (local.set $a (v128.const f32x4 0 0 0 0))
      (local.set $b (v128.const f32x4 0 0 0 0))
      (loop $column
        (local.set $eight (v128.load8x8_s (local.get $w)))
        (local.set $a (f32x4.add (local.get $a) (f32x4.mul (v128.load (local.get $at))
          (f32x4.convert_i32x4_s (i32x4.extend_low_i16x8_s (local.get $eight))))))
        (local.set $b (f32x4.add (local.get $b) (f32x4.mul (v128.load offset=16 (local.get $at))
          (f32x4.convert_i32x4_s (i32x4.extend_high_i16x8_s (local.get $eight))))))
        (local.set $at (i32.add (local.get $at) (i32.const 32)))
        (local.set $w (i32.add (local.get $w) (i32.const 8)))
        (br_if $column (i32.lt_u (local.get $w) (local.get $end))))
      (f32.store (local.get $y)
        (f32.mul (f32.load (local.get $scale)) (call $sum (f32x4.add (local.get $a) (local.get $b)))))
      (local.set $scale (i32.add (local.get $scale) (i32.const 4)))
      (local.set $y (i32.add (local.get $y) (i32.const 4)))
      (local.set $rows (i32.sub (local.get $rows) (i32.const 1)))
      (br_if $row (local.get $rows))))

  ;; four vectors, which lie `step` bytes apart; their results lie `leap` bytes apart. A weight is read and converted
  ;; once for all four: this is what a prompt needs.
  (func (export "product4")
    (param $w i32) (param $scale i32) (param $x i32) (param $y i32) (param $rows i32) (param $columns i32)
    (param $step i32) (param $leap i32)
    (local $at0 i32) (local $at1 i32) (local $at2 i32) (local $at3 i32) (local $end i32) (local $s f32)
    (local $low v128) (local $high v128) (local $a v128) (local $b v128) (local $c v128) (local $d v128)
    (if (i32.eqz (local.get $rows)) (then (return)))
    (loop $row
      (local.set $at0 (local.get $x))
      (local.set $at1 (i32.add (local.get $at0) (local.get $step)))
      (local.set $at2 (i32.add (local.get $at1) (local.get $step)))
      (local.set $at3 (i32.add (local.get $at2) (local.get $step)))
      (local.set $end (i32.add (local.get $w) (local.get $columns)))
      (local.set $a (v128.const f32x4 0 0 0 0))
      (local.set $b (v128.const f32x4 0 0 0 0))
      (local.set $c (v128.const f32x4 0 0 0 0))
      (local.set $d (v128.const f32x4 0 0 0 0))
      (loop $column
        (local.set $high (v128.load8x8_s (local.get $w)))
        (local.set $low (f32x4.convert_i32x4_s (i32x4.extend_low_i16x8_s (local.get $high))))
        (local.set $high (f32x4.convert_i32x4_s (i32x4.extend_high_i16x8_s (local.get $high))))
        (local.set $a (f32x4.add (local.get $a) (f32x4.add
          (f32x4.mul (local.get $low) (v128.load (local.get $at0)))
          (f32x4.mul (local.get $high) (v128.load offset=16 (local.get $at0))))))
        (local.set $b (f32x4.add (local.get $b) (f32x4.add
          (f32x4.mul (local.get $low) (v128.load (local.get $at1)))
          (f32x4.mul (local.get $high) (v128.load offset=16 (local.get $at1))))))
        (local.set $c (f32x4.add (local.get $c) (f32x4.add
          (f32x4.mul (local.get $low) (v128.load (local.get $at2)))
          (f32x4.mul (local.get $high) (v128.load offset=16 (local.get $at2))))))
        (local.set $d (f32x4.add (local.get $d) (f32x4.add
          (f32x4.mul (local.get $low) (v128.load (local.get $at3)))
          (f32x4.mul (local.get $high) (v128.load offset=16 (local.get $at3))))))
        (local.set $at0 (i32.add (local.get $at0) (i32.const 32)))
        (local.set $at1 (i32.add (local.get $at1) (i32.const 32)))
        (local.set $at2 (i32.add (local.get $at2) (i32.const 32)))
        (local.set $at3 (i32.add (local.get $at3) (i32.const 32)))
        (local.set $w (i32.add (local.get $w) (i32.const 8)))
        (br_if $column (i32.lt_u (local.get $w) (local.get $end))))
      (local.set $s (f32.load (local.get $scale)))
      (local.set $at0 (local.get $y))
      (f32.store (local.get $at0) (f32.mul (local.get $s) (call $sum (local.get $a))))
      (local.set $at0 (i32.add (local.get $at0) (local.get $leap)))
      (f32.store (local.get $at0) (f32.mul (local.get $s) (call $sum (local.get $b))))
      (local.set $at0 (i32.add (local.get $at0) (local.get $leap)))
      (f32.store (local.get $at0) (f32.mul (local.get $s) (call $sum (local.get $c))))
      (local.set $at0 (i32.add (local.get $at0) (local.get $leap)))
      (f32.store (local.get $at0) (f32.mul (local.get $s) (call $sum (local.get $d))))
      (local.set $scale (i32.add (local.get $scale) (i32.const 4)))
      (local.set $y (i32.add (local.get $y) (i32.const 4)))
      (local.set $rows (i32.sub (local.get $rows) (i32.const 1)))
      (br_if $row (local.get $rows)))))
