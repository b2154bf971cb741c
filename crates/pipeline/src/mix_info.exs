defmodule Mix.Tasks.Mixpack.Answer do
  @moduledoc false
  use Mix.Task

  @tasks ~w(phx.server phx.digest phx.digest.clean phoenix.server phoenix.digest
           phoenix.digest.clean assets.deploy ecto.migrate distillery.release)

  @impl true
  def run([path]) do
    # Already done when this follows `compile` in the same VM.
    Mix.Task.run("deps.loadpaths", ["--no-compile", "--no-deps-check"])
    config = Mix.Project.config()
    aliases = for {name, _} <- config[:aliases] || [], do: to_string(name)
    releases = config[:releases] || []

    answers =
      for(name <- @tasks, name in aliases or Mix.Task.get(name), do: {"task", name}) ++
        for({name, options} <- releases, do: {"release", "#{name}\t#{release_path(options)}"}) ++
        for(name <- List.wrap(config[:default_release]), do: {"default_release", name})

    path_deps =
      if function_exported?(Mix.Project, :deps_scms, 0) do
        for {name, Mix.SCM.Path} <- Mix.Project.deps_scms(), do: {"path_dep", name}
      else
        []
      end

    app = if Mix.Project.umbrella?(), do: [], else: [{"app", config[:app]}]
    build_path = [{"build_path", Path.expand(Mix.Project.build_path())}]
    locals = for {"path_dep", name} <- path_deps, do: name
    answers = answers ++ path_deps ++ app ++ build_path ++ compilers(config, locals) ++ ignored(config[:hex])
    File.write!(path, for({key, value} <- answers, do: "#{key}\t#{value}\n"))
  end

  # Advisories and retirements that Hex ignores (lib/hex/ignores.ex and lib/hex/state.ex of Hex
  # 2.5.1): a variable takes the place of what mix.exs says. Hex reports what is malformed.
  defp ignored(hex) do
    advisories = ignored("HEX_IGNORE_ADVISORIES", hex, :ignore_advisories)
    retirements = ignored("HEX_IGNORE_RETIREMENTS", hex, :ignore_retirements)

    for(id when is_binary(id) <- advisories, do: {"ignored_advisory", id}) ++
      for(entry <- retirements, name = retirement(entry), do: {"ignored_retirement", name})
  end

  defp ignored(variable, hex, key) do
    case System.get_env(variable) || "" do
      "" -> if(Keyword.keyword?(hex), do: List.wrap(hex[key]), else: [])
      list -> for entry <- String.split(list, ","), do: String.trim(entry)
    end
  end

  defp retirement({name, version}) when is_atom(name) and is_binary(version), do: "#{name}@#{version}"
  defp retirement(name) when is_atom(name) or is_binary(name), do: "#{name}"
  defp retirement(_), do: nil

  # Besides Mix's own compilers and those that run no programs. Mix runs the compilers of the
  # project, of an umbrella's apps and of path dependencies whenever it starts
  # (lib/mix/lib/mix/tasks/deps.loadpaths.ex).
  @harmless ~w(yecc leex erlang elixir app protocols xref phoenix phoenix_live_view gettext surface
               boundary domo_compiler unused)a

  defp compilers(config, locals) do
    apps = Map.to_list(Mix.Project.apps_paths() || %{})
    paths = Mix.Project.deps_paths()
    deps = for name <- locals, path = paths[name], do: {name, path}

    for {app, path} <- [{config[:app], nil} | apps] ++ deps,
        name <- compilers_of(app, path, config),
        uniq: true,
        do: {"compiler", "#{app}\t#{name}"}
  end

  defp compilers_of(_app, nil, config), do: List.wrap(config[:compilers]) -- @harmless

  defp compilers_of(app, path, _config) do
    if File.exists?(Path.join(path, "mix.exs")) do
      Mix.Project.in_project(app, path, fn _ -> List.wrap(Mix.Project.config()[:compilers]) end) -- @harmless
    else
      [if(File.exists?(Path.join(path, "Makefile")), do: :make, else: :rebar3)]
    end
  rescue
    _ -> []
  end

  # The options may be a function (`find_release/2` of lib/mix/lib/mix/release.ex). mix release
  # reports what is wrong with them.
  defp release_path(options) do
    options = if is_function(options, 0), do: options.(), else: options
    if path = options[:path], do: Path.expand(path)
  rescue
    _ -> nil
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

defmodule Mix.Tasks.Mixpack.CodePaths do
  @moduledoc false
  use Mix.Task

  # Distillery needs applications of Erlang and Elixir that the project doesn't name, such as sasl.
  # Elixir 1.15 and newer take their directories off the code path (`prune_code_paths`).
  @impl true
  def run([]) do
    for lib <- [:code.lib_dir(), Path.dirname(:code.lib_dir(:elixir))],
        ebin <- Path.wildcard(Path.join([lib, "*", "ebin"])),
        do: :code.add_pathz(to_charlist(ebin))
  end
end

defmodule Mix.Tasks.Mixpack.Session do
  @moduledoc false
  use Mix.Task

  # Before Mix is started: deps and _build may not be restored yet.
  def wait([_task, folder, builder]) do
    if command(Path.join(folder, "1"), builder) == [], do: System.halt(0)
  end

  @impl true
  def run([folder, builder]) do
    # Mix may take the folder that they are in off the path of code.
    for task <- [
          Mixpack.Answer,
          Mixpack.CodePaths,
          Mixpack.Dependencies,
          Mixpack.Dependency,
          Mixpack.Executables,
          Mixpack.Reads,
          Mixpack.Settled,
          Mixpack.Stale
        ] do
      Code.ensure_loaded(Module.concat(Mix.Tasks, task))
    end

    loop(folder, builder, 1)
  end

  defp loop(folder, builder, number) do
    case command(Path.join(folder, "#{number}"), builder) do
      [] ->
        :ok

      [mark | tasks] ->
        # A task that an earlier command ran has to run again: files may have changed since. So has
        # the config, which may look for what is in deps or _build. Dependencies are compiled one after
        # the other as mix does, with the same config.
        if not match?(["mixpack.dependency\t" <> _ | _], tasks) do
          Mix.Task.clear()
          Mix.Task.run("loadconfig")
        end

        for line <- tasks do
          [task | args] = String.split(line, "\t")
          Mix.Task.rerun(task, args)
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
      Mix.shell().info("recompiling #{name}: the config it was compiled with has changed")
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

defmodule Mix.Tasks.Mixpack.Settled do
  @moduledoc false
  use Mix.Task

  # What `mix deps.get` goes by, written to `path` where it would change nothing of deps: what
  # mix.exs, its children and dependencies ask for, and the lock; or that they ask for nothing. `only` is the environment that it
  # fetches for, or empty for all. Whatever goes wrong here, `mix deps.get` itself can say better.
  @impl true
  def run([path, only]) do
    shell = Mix.shell()
    # What there is to say, the command that follows says.
    Mix.shell(Mix.Shell.Process)

    try do
      with {:ok, inputs} <- inputs(only), do: File.write!(path, inputs)
    catch
      _, _ -> :open
    after
      Mix.Shell.Process.flush()
      Mix.shell(shell)
    end
  end

  defp inputs(only) do
    config = Mix.Project.config()
    env = if only != "", do: String.to_atom(only)
    {deps, _, _} = Mix.Dep.Converger.converge(nil, nil, [env: env], &{&1, &2, &3})

    cond do
      Keyword.has_key?(config[:aliases] || [], :"deps.get") -> :open
      deps == [] -> {:ok, "no dependencies"}
      Enum.any?(deps, &(to_fetch?(&1) or above_local?(&1, deps))) -> :open
      true -> {:ok, what_is_asked(config, deps)}
    end
  end

  defp what_is_asked(config, deps) do
    hex = if Code.ensure_loaded?(Hex), do: apply(Hex, :version, [])
    asked = {config[:deps], Enum.map(deps, &{asked(&1), Enum.map(&1.deps, fn dep -> asked(dep) end)})}
    all = {System.version(), hex, asked, File.read(config[:lockfile])}
    inspect(all, limit: :infinity, printable_limit: :infinity)
  end

  # As `do_fetch/3` and `do_finalize/3` have it (lib/mix/lib/mix/dep/fetcher.ex).
  defp to_fetch?(dep) do
    case Mix.Dep.check_lock(dep) do
      %{status: {:lockmismatch, _}} -> true
      %{status: :lockoutdated} -> true
      %{status: :nolock} -> true
      dep -> not Mix.Dep.available?(dep)
    end
  end

  # `mix deps.get` has it compiled again each time.
  defp above_local?(dep, deps) do
    local? = fn child -> Enum.any?(deps, &(&1.app == child.app and not &1.scm.fetchable?())) end
    dep.scm.fetchable?() and Enum.any?(dep.deps, local?)
  end

  # What does not depend on whether it is compiled already.
  defp asked(dep) do
    {dep.app, dep.requirement, dep.scm, Keyword.drop(dep.opts, [:app_properties, :lock])}
  end
end
