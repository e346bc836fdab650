"""What networks answer: how often that is right, and how far a student's is from its teacher's."""
