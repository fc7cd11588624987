"""The optimizers of the original, update by update, with the state that its checkpoints hold.

`momentum`, `rms_prop` and `adam` are the rules, `slot_optimizer` is what they share, and
`stored_state` lays their state out as the original stores it.
"""
