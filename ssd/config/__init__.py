"""pipeline.config and label_map.pbtxt as typed messages; nothing here imports TensorFlow.

pipeline_schema.json, messages    the schema as data; message classes in a pool of our own
text_source, tokens, scalars,     text -> message: every field with its line, every mistake with
  text_reader, hints              its place and the name that was probably meant
overrides                         `--set section.field=value`
rules, obeyed, obeyed_model,      which settings are acted on, which are harmless, and what must
  obeyed_training, harmless,      fit together: data, and the page made from it
  together, reference
refusals                          the settings of one config that are not acted on
pipeline                          what other rooms use: load, require_obeyed, save, to_text
filled_text, cli                  `config check` and `config show`
"""
