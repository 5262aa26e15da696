"""Which kind each layer of a config is: by the lists in use (``listed``), or by the rule of its type (``rules``)."""
