"""What is known -> what will happen. Arrays in, arrays out, no I/O."""
