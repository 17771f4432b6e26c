"""Plays recorded black-box flows against a base URL and compares the answers.

flows.py reads a contract folder, play.py runs one flow step by step, observe.py turns an answer into
comparable facts and compare.py says where two answers differ.
"""
