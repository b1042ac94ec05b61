"""The slow methods: pictures optimised step by step, from coarse to fine.

`engine` is the loop, `objective` what it minimises, `tiles` the same for pictures that
do not fit into memory, `optimizers` the updates, `style` a painting that was measured.
`gatys` is a method: its losses, their targets, and nothing else.
"""
