"""Names of functions, files and classes that carry control characters and markup."""

def softmax(x, dim):
    code = compile("def f(): raise E", WORK + "/\x1b[2J[red]<script>.py", "exec")
    E = type("\x1b[31m<b>[bold]", (Exception,), {})
    names = {"E": E}
    exec(code, names)
    names["f"]()
