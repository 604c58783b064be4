"""``vllama bench``: figures about speed, each verb in a module of its own."""
