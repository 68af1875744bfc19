"""A trained agent as a folder for the Hugging Face Hub, as RL Zoo and huggingface_sb3 read it."""
