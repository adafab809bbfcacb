from cohort_cli.checking.authoring import check


@check("adds", title="a and b are added")
def test_adds(member, expect):
    """Adding."""
    expect.equal(member.plain.add(2, 3), 5)


@check("without-torch", title="torch was never imported here")
def test_without_torch(member, expect):
    """What the process of the member's code holds."""
    expect.equal(member.plain.holds("torch"), False)
