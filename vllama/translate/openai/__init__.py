"""OpenAI's chats, completions, embeddings and lists: requests and answers. Pure."""
