# Loaded by `elixir -r` before mix, in the VM of `mix deps.get` and in no other, which is lent keys
# of Hex organisations.
#
# Hex gets a home of its own, in the folder of this file, which goes away with the VM: Hex writes
# keys there, or the tokens that it exchanges them for.
home = Path.expand(System.get_env("HEX_HOME") || "~/.hex")
lent = Path.join(__DIR__, "hex")
packages = Path.join(home, "packages")
File.mkdir_p!(packages)
File.mkdir_p!(lent)

# What is fetched stays, what is known of packages is known here too, and a hook may have
# configured Hex.
File.ln_s!(packages, Path.join(lent, "packages"))
for file <- ["cache.ets", "hex.config"], do: File.cp(Path.join(home, file), Path.join(lent, file))
System.put_env("HEX_HOME", lent)

with {:ok, key} <- File.read(Path.join(__DIR__, "repos_key")),
     do: System.put_env("HEX_REPOS_KEY", String.trim(key))

defmodule Mix.Tasks.Mixpack.Lend do
  use Mix.Task
  @compile {:no_warn_undefined, [Hex, Hex.State, Mix.Tasks.Hex, Mix.Tasks.Hex.Organization]}
  @entries Path.join(__DIR__, "organizations")

  def run([task | args]) do
    entries = for entry <- String.split(File.read!(@entries)), do: String.split(entry, ":")
    Hex.start()
    shell = Mix.shell()
    # Hex says there what a person would have to do next.
    Mix.shell(Mix.Shell.Quiet)
    Enum.each(entries ++ with_repos_key(entries), &authorize/1)
    Mix.shell(shell)
    # As the next VM would have it: an organisation's packages come from hex.pm, not from a mirror.
    Hex.State.refresh()
    # Hex has read it; git is not to see it.
    System.delete_env("HEX_REPOS_KEY")

    # Hex would end this VM with an error, also where only a key is wrong that nothing needs.
    System.at_exit(fn status ->
      if Process.whereis(Logger), do: Logger.flush()
      System.halt(status)
    end)

    Mix.Task.run(task, args)
  end

  # From 2.5.2 on Hex asks whose a key is, and warns where it will not take it any more. From 2.6
  # on it exchanges the key for a token. Before, it can do without the API.
  defp authorize([organization, key]) do
    if older_than?("2.5.2-dev"),
      do: Mix.Tasks.Hex.auth_organization("hexpm:" <> organization, key),
      else: Mix.Tasks.Hex.Organization.run(["auth", organization, "--key", key])
  end

  # Before 2.6 Hex itself shows it for every organisation.
  defp with_repos_key(entries) do
    key = System.get_env("HEX_REPOS_KEY", "")
    lock = File.read(Mix.Project.config()[:lockfile])

    with false <- key == "" or older_than?("2.6.0-dev"),
         {:ok, lock} <- lock do
      named = for [_, organization] <- Regex.scan(~r/"hexpm:([^"]+)"/, lock), do: organization
      for organization <- Enum.uniq(named) -- Enum.map(entries, &hd/1), do: [organization, key]
    else
      _ -> []
    end
  end

  defp older_than?(version), do: Version.compare(Hex.version(), version) == :lt
end
