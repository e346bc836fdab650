"""What is drawn at random, without global state: generators, mini-batches, samples of tensors."""
