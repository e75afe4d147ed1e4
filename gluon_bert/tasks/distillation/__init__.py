"""The parts of a distillation: teacher, student, the outputs of the teacher, what is learned."""
