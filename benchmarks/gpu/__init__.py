"""What a GPU makes of the CUDA columns: their verdicts, how fast several processes are on it, and what a full one does.

For a machine that is at hand for minutes only and has nothing but PyTorch and this tree: all steps have limits, what
each came to is written at once, and the next call goes on where the last one ended.
"""
