# Gives the keys of Hex organisations to `mix deps.get`. `elixir -r` loads this file before mix, only in that VM.
#
# Hex gets a temporary home in the directory of this file, which is removed after the VM ends: Hex saves the keys
# there, or the tokens that it exchanges them for.
home = Path.expand(System.get_env("HEX_HOME") || "~/.hex")
temporary = Path.join(__DIR__, "hex")
packages = Path.join(home, "packages")
File.mkdir_p!(packages)
File.mkdir_p!(temporary)

# Keep fetched packages. Copy the registry cache, and the config, which a hook may have changed.
File.ln_s!(packages, Path.join(temporary, "packages"))
for file <- ["cache.ets", "hex.config"], do: File.cp(Path.join(home, file), Path.join(temporary, file))
System.put_env("HEX_HOME", temporary)

with {:ok, key} <- File.read(Path.join(__DIR__, "repos_key")),
     do: System.put_env("HEX_REPOS_KEY", String.trim(key))

defmodule Mix.Tasks.Mixpack.HexCredentials do
  use Mix.Task
  @compile {:no_warn_undefined, [Hex, Hex.State, Mix.Tasks.Hex, Mix.Tasks.Hex.Organization]}
  @entries Path.join(__DIR__, "organizations")

  def run([task | args]) do
    entries = for entry <- String.split(File.read!(@entries)), do: String.split(entry, ":")
    Hex.start()
    shell = Mix.shell()
    # Hide Hex's instructions for interactive use.
    Mix.shell(Mix.Shell.Quiet)
    Enum.each(entries ++ with_repos_key(entries), &authorize/1)
    Mix.shell(shell)
    # Reload the state like a new VM would: packages of organisations come from hex.pm, not from a mirror.
    Hex.State.refresh()
    # Hex has read it by now, and git must not see it.
    System.delete_env("HEX_REPOS_KEY")

    # Hex's own exit handler fails the VM if any key is invalid, even an unused one. This one runs first and keeps the
    # status.
    System.at_exit(fn status ->
      if Process.whereis(Logger), do: Logger.flush()
      System.halt(status)
    end)

    Mix.Task.run(task, args)
  end

  # From 2.5.2 on, Hex looks up the owner of a key, and warns about an invalid one. From 2.6 on, it exchanges the key
  # for a token. Older versions need no API request.
  defp authorize([organization, key]) do
    if older_than?("2.5.2-dev"),
      do: Mix.Tasks.Hex.auth_organization("hexpm:" <> organization, key),
      else: Mix.Tasks.Hex.Organization.run(["auth", organization, "--key", key])
  end

  # Before 2.6, Hex itself sends this key for every organisation.
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
