from cohort_cli.checking.authoring import check


@check("with-torch", title="torch was there before the code was", needs=["adds"])
def test_with_torch(member, expect):
    """What the process of the member's code holds."""
    expect.equal(member.full.holds("torch"), True)
