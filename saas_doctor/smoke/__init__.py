"""The smoke test: can everything be imported, does each service answer, does the whole way work?"""
