"""References: learners of single tasks, on frozen or pre-trained features."""
