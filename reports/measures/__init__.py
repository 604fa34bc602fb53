"""Counted tables -> the retention measures, each with what it rests on."""
