//! From reset to `main`: the vector table, and RAM as Rust expects it.
//!
//! This file and `link.x` do what the crate cortex-m-rt does, and go when that one comes.

use core::arch::global_asm;
use core::ptr::addr_of;

/// What the stack is painted with: who finds it there knows that it was never used.
const PAINT: u32 = 0xc5c5_c5c5;

// The vector table (ARMv7-M B1.5.3): the stack, reset, the exceptions, and the interrupts up to
// that of the Ethernet MAC, number 42.
global_asm!(
    "
    .section .vectors, \"a\"
    .word __stack_top
    .word reset
    .rept 5
    .word fault
    .endr
    .rept 4
    .word 0
    .endr
    .rept 2
    .word fault
    .endr
    .word 0
    .word fault
    .word SysTick
    .rept 42
    .word fault
    .endr
    .word Ethernet
    "
);

// Nothing here uses the stack, so that it can be painted to its top.
global_asm!(
    "
    .section .text.reset, \"ax\"
    .global reset
    .type reset, %function
    .thumb_func
    reset:
        ldr r0, =__stack_bottom
        ldr r1, =__stack_top
        ldr r2, ={paint}
    1:  cmp r0, r1
        beq 2f
        stmia r0!, {{r2}}
        b 1b
    2:  ldr r0, =__bss_start
        ldr r1, =__bss_end
        movs r2, #0
    3:  cmp r0, r1
        beq 4f
        stmia r0!, {{r2}}
        b 3b
    4:  ldr r0, =__data_start
        ldr r1, =__data_end
        ldr r2, =__data_load
    5:  cmp r0, r1
        beq 6f
        ldmia r2!, {{r3}}
        stmia r0!, {{r3}}
        b 5b
    6:  bl main
        udf #0
    .pool
    "
    , paint = const PAINT
);

// The stack may be what has failed: it is thrown away.
global_asm!(
    "
    .section .text.fault, \"ax\"
    .type fault, %function
    .thumb_func
    fault:
        ldr r0, =__stack_top
        mov sp, r0
        bl HardFault
    .pool
    "
);

unsafe extern "C" {
    static __stack_bottom: u32;
    static __stack_top: u32;
}

/// How many bytes of the stack were in use so far, at most, and how many there are.
pub fn stack() -> (usize, usize) {
    let (bottom, top) = (addr_of!(__stack_bottom), addr_of!(__stack_top));
    let words = (top as usize - bottom as usize) / size_of::<u32>();
    // SAFETY: the linker script has the stack there. What is looked at last is the first word in
    // use; nobody borrows any of them, and a volatile read bears that they change.
    let is_paint = |&at: &usize| unsafe { bottom.add(at).read_volatile() } == PAINT;
    let unused = (0..words).take_while(is_paint).count();
    ((words - unused) * size_of::<u32>(), words * size_of::<u32>())
}
