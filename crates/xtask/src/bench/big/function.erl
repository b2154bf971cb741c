
%% @doc Scores the entries of a list for step @@N@@.
step_@@N@@(List) when is_list(List) ->
    Scored = [{Name, score_@@N@@(Score)} || {Name, Score} <- List, is_integer(Score)],
    case lists:keysort(2, Scored) of
        [] -> {error, empty};
        Sorted -> {ok, lists:reverse(Sorted)}
    end.

score_@@N@@(Score) when Score > 100 -> Score div 2;
score_@@N@@(Score) -> Score * @@N@@.
