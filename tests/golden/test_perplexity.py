import pytest

from golden.llm.perplexity import cut, losses

TEXT = list(range(100, 123))


class Played:
    """A scorer that a worker process can be given."""

    def loss(self, tokens):
        if tokens[0] == 0:
            raise ValueError("no such token")
        return float(sum(tokens[1:]))


def test_whole_windows_of_the_text():
    assert cut(TEXT, 10) == [TEXT[:10], TEXT[10:20]]
    assert cut(TEXT, 23) == [TEXT]


@pytest.mark.parametrize(("predicted", "lengths"), [(1, [2]), (9, [10]), (10, [10, 2]), (18, [10, 10])])
def test_the_last_window_ends_early(predicted, lengths):
    windows = cut(TEXT, 10, predicted)
    assert [len(window) for window in windows] == lengths
    assert windows == [TEXT[10 * i : 10 * i + length] for i, length in enumerate(lengths)]


@pytest.mark.parametrize("window", [0, 1, 24])
def test_a_window_holds_two_tokens_at_least_and_the_text_one_window(window):
    with pytest.raises(ValueError, match=f"2 to 23 .* got {window}"):
        cut(TEXT, window)


def test_more_predictions_than_the_text_holds():
    with pytest.raises(ValueError, match="19 tokens cannot be predicted: whole windows of 10 hold 18"):
        cut(TEXT, 10, 19)


def test_losses_come_in_order_whoever_finds_them():
    assert list(losses(Played(), cut(TEXT, 10, 12), workers=2)) == [sum(TEXT[1:10]), sum(TEXT[11:14])]


def test_an_error_of_a_worker_is_the_callers():
    with pytest.raises(ValueError, match="no such token"):
        list(losses(Played(), [[1, 2], [0, 0]], workers=1))
