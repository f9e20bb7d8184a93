//! From reset to `main`: the vector table, and RAM as Rust expects it.
//!
//! This file and `link.x` do what the crate cortex-m-rt does, and go when that one comes.

use core::arch::global_asm;

use crate::chip::ETHERNET_INTERRUPT;
use crate::stack::PAINT;

// The vector table (ARMv7-M B1.5.3): the stack, reset, the exceptions, and the interrupts up to
// that of the Ethernet MAC.
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
    .rept {interrupts_before}
    .word fault
    .endr
    .word Ethernet
    "
    , interrupts_before = const ETHERNET_INTERRUPT
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
