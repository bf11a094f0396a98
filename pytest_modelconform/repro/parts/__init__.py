"""What scripts are put together from.

The part of a runtime has `load(path, device, fast)`, and `run(model, inputs, outputs)` on arrays by the graph's names,
or `run_nested(model, args, kwargs)` on what the model itself takes. The part of a format has
`export(model, args, kwargs, dynamic_shapes, facts)`; the part of one that is made from another format's files has
`convert(path)`. Imports between parts are relative, and are resolved when a script is put together.
"""
