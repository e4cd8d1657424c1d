"""The generalised kernel below both estimators: rows given effects, modes, integrals of levels."""
