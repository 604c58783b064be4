"""Models from the Hugging Face hub: which files are fetched, and how they come into the store's cache.

In the service:
``puller``: from a name to a model that is listed.
``plan``: which of a name's repositories suits the machine.
``transfer``: the downloads that run, and who shares each.
``process``: starts the child and reads its answer.

In the child, which alone imports huggingface_hub (``vllama catalog check`` and ``vllama plan`` do, too):
``child``: carries out one task (``vllama.errand``).
``parts``: the parts of a download that people see.
``hub``: what the hub is asked: a repository's files, and what model they are.
``cache``: brings the bytes, from where they stopped, and checks them.
``border``: turns the library's errors into ours.

``messages`` holds the values that both sides read.
"""
