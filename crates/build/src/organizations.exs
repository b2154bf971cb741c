# Loaded by `elixir -r` before mix, in the VM of `mix deps.get` and in no other: keys of Hex
# organisations, where Hex looks for those that `mix hex.organization auth ORG --key KEY` leaves.
# Hex gets a home of its own for it, in the folder of this file, which goes away with the VM: it
# may write what it trades a key for beside it.
home = Path.expand(System.get_env("HEX_HOME") || "~/.hex")
lent = Path.join(__DIR__, "hex")
packages = Path.join(home, "packages")
File.mkdir_p!(packages)
File.mkdir_p!(lent)

# What is fetched stays, and what is known of packages is known here too.
File.ln_s!(packages, Path.join(lent, "packages"))
File.cp(Path.join(home, "cache.ets"), Path.join(lent, "cache.ets"))

# A hook may have configured Hex.
config = Path.join(home, "hex.config")

terms =
  case :file.consult(config) do
    {:ok, terms} ->
      terms

    {:error, :enoent} ->
      []

    {:error, _reason} ->
      IO.puts(:stderr, "#{config} is no list of Erlang terms: not used while packages are fetched")
      []
  end

repos =
  case List.keyfind(terms, :"$repos", 0) do
    {_, %{} = repos} -> repos
    _none -> %{}
  end

# Hex 2.5 warns of keys whose owner it does not know.
with_key = fn entry, repos ->
  [organization, key] = String.split(entry, ":", parts: 2)
  given = %{auth_key: key, auth_key_owner: :organization}
  Map.update(repos, "hexpm:" <> organization, given, &Map.merge(&1, given))
end

entries = __DIR__ |> Path.join("organizations") |> File.read!() |> String.split()
terms = List.keystore(terms, :"$repos", 0, {:"$repos", Enum.reduce(entries, repos, with_key)})
written = Enum.map(terms, &[:io_lib.print(&1), ".\n"])
File.write!(Path.join(lent, "hex.config"), written)
System.put_env("HEX_HOME", lent)
