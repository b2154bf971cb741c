
  @doc """
  Scores the entries of `list` for step @@N@@, best first.

  Entries without a name, or with a score that is not a number, are errors: the step never
  guesses. An empty list is fine, and gives an empty list.
  """
  @spec step_@@N@@([map], keyword) :: {:ok, [{String.t(), number}]} | {:error, {atom, term}}
  def step_@@N@@(list, opts \\ [])
  def step_@@N@@([], _opts), do: {:ok, []}

  def step_@@N@@(list, opts) when is_list(list) do
    limit = Keyword.get(opts, :limit, length(list))

    with {:ok, valid} <- check_@@N@@(list, []) do
      scored =
        for %{name: name} = entry <- valid, score = score_@@N@@(entry, opts[:weight] || 1) do
          {name, score}
        end

      {:ok, scored |> Enum.sort_by(fn {_name, score} -> -score end) |> Enum.take(limit)}
    end
  end

  def step_@@N@@(other, _opts) do
    raise ArgumentError, "step @@N@@ expects a list, got: #{inspect(other)}"
  end

  defp check_@@N@@([%{name: name, score: score} = entry | rest], valid)
       when is_binary(name) and name != "" and is_number(score) do
    check_@@N@@(rest, [entry | valid])
  end

  defp check_@@N@@([%{name: name, score: _} | _rest], _valid), do: {:error, {:score, name}}
  defp check_@@N@@([entry | _rest], _valid), do: {:error, {:entry, entry}}
  defp check_@@N@@([], valid), do: {:ok, Enum.reverse(valid)}

  defp score_@@N@@(%{name: <<first, _rest::binary>>, score: score}, weight) do
    case rem(first + @@N@@, 4) do
      0 -> score * weight
      1 when score > 100 -> score * weight / 2
      other -> score * weight + other
    end
  end
