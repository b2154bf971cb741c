defmodule Mix.Tasks.Mixpack.Answer do
  @moduledoc false
  use Mix.Task

  @tasks ~w(phx.server phx.digest phx.digest.clean phoenix.server phoenix.digest
           phoenix.digest.clean assets.deploy ecto.migrate)

  @impl true
  def run([path]) do
    # Already done when this follows `compile` in the same VM.
    Mix.Task.run("deps.loadpaths", ["--no-compile", "--no-deps-check"])
    config = Mix.Project.config()
    aliases = for {name, _} <- config[:aliases] || [], do: to_string(name)
    releases = config[:releases] || []

    answers =
      for(name <- @tasks, name in aliases or Mix.Task.get(name), do: {"task", name}) ++
        for({name, _} <- releases, do: {"release", name}) ++
        for(name <- List.wrap(config[:default_release]), do: {"default_release", name})

    path_deps =
      if function_exported?(Mix.Project, :deps_scms, 0) do
        for {name, Mix.SCM.Path} <- Mix.Project.deps_scms(), do: {"path_dep", name}
      else
        []
      end

    app = if Mix.Project.umbrella?(), do: [], else: [{"app", config[:app]}]
    File.write!(path, for({key, value} <- answers ++ path_deps ++ app, do: "#{key}\t#{value}\n"))
  end
end

defmodule Mix.Tasks.Mixpack.Executables do
  @moduledoc false
  use Mix.Task

  # What a hook fetches and removes again could never be kept. With `--if-missing` each task looks
  # at the version of what is there.
  @impl true
  def run([]) do
    for name <- ~w(esbuild tailwind sass bun), Mix.Task.get(name <> ".install") do
      Mix.Task.run(name <> ".install", ["--if-missing"])
    end
  rescue
    # The hook will say so itself, if it needs them.
    error -> Mix.shell().error(Exception.message(error))
  end
end

defmodule Mix.Tasks.Mixpack.Session do
  @moduledoc false
  use Mix.Task

  @impl true
  def run([folder, builder]), do: loop(folder, builder, 1)

  defp loop(folder, builder, number) do
    case command(Path.join(folder, "#{number}"), builder) do
      [] ->
        :ok

      [mark | tasks] ->
        # A task that an earlier command ran has to run again: files may have changed since. So has
        # the config, which may look for what is in deps or _build.
        Mix.Task.clear()
        Mix.Task.run("loadconfig")

        for line <- tasks do
          [task | args] = String.split(line, "\t")
          Mix.Task.run(task, args)
        end

        IO.puts(mark)
        IO.puts(:stderr, mark)
        loop(folder, builder, number + 1)
    end
  end

  defp command(path, builder) do
    cond do
      File.exists?(path) -> path |> File.read!() |> String.split("\n", trim: true)
      # Nobody is left to send one.
      not File.exists?("/proc/" <> builder) -> []
      true -> :timer.sleep(5) && command(path, builder)
    end
  end
end

defmodule Mix.Tasks.Mixpack.Stale do
  @moduledoc false
  use Mix.Task

  # Values of the config that a module read while it was compiled stand in its application's .app
  # file (Application.compile_env). Mix compares them, and for a dependency it gives up.
  @impl true
  def run(named) do
    dependencies = Mix.Project.deps_paths() |> Map.keys()
    own = Mix.Project.apps_paths() || %{}
    dependencies = Enum.map(dependencies -- Map.keys(own), &to_string/1)
    stale = Enum.filter(dependencies, &(&1 in named or stale?(&1)))

    for name <- stale -- named do
      Mix.shell().info("#{name} is compiled again: the config that it was compiled with has changed")
    end

    if stale != [], do: Mix.Task.run("deps.compile", stale ++ ["--force"])
  end

  defp stale?(name) do
    for({app, [key | path], then} <- read(name)[:compile_env] || [], do: {app, key, path, then})
    |> Enum.any?(fn {app, key, path, then} -> now(app, key, path) != then end)
  end

  # As the VM will have it: the config, else the default in the application's own .app file.
  defp now(app, key, path) do
    with :error <- Application.fetch_env(app, key),
         :error <- Keyword.fetch(read(app)[:env] || [], key) do
      :error
    else
      {:ok, value} -> dig(value, path)
    end
  end

  defp dig(value, []), do: {:ok, value}

  defp dig(value, [key | path]) do
    case Access.fetch(value, key) do
      {:ok, value} -> dig(value, path)
      :error -> :error
    end
  rescue
    _ -> :error
  end

  defp read(app) do
    file = Path.join([Mix.Project.build_path(), "lib", "#{app}", "ebin", "#{app}.app"])

    case :file.consult(file) do
      {:ok, [{:application, _, properties}]} -> properties
      _ -> []
    end
  end
end
