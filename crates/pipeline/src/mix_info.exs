defmodule Mix.Tasks.Mixpack.ProjectInfo do
  @moduledoc false
  use Mix.Task

  @tasks ~w(phx.server phx.digest phx.digest.clean phoenix.server phoenix.digest
           phoenix.digest.clean assets.deploy ecto.migrate distillery.release)

  @impl true
  def run([path, salt]) do
    # Does nothing after `compile` in the same VM.
    Mix.Task.run("deps.loadpaths", ["--no-compile", "--no-deps-check"])
    config = Mix.Project.config()
    aliases = for {name, _} <- config[:aliases] || [], do: to_string(name)
    releases = config[:releases] || []

    info =
      for(name <- @tasks, name in aliases or Mix.Task.get(name), do: {"task", name}) ++
        for({name, options} <- releases, do: {"release", "#{name}\t#{release_path(options)}"}) ++
        for({_, options} <- releases, path <- overlays(options), do: {"overlay", path}) ++
        for(name <- List.wrap(config[:default_release]), do: {"default_release", name})

    locals = locals()
    path_deps = for name <- locals, do: {"path_dep", name}
    projects = for project <- projects(salt), do: {"project", line(project)}
    app = if Mix.Project.umbrella?(), do: [], else: [{"app", config[:app]}]
    build_path = [{"build_path", Path.expand(Mix.Project.build_path())}]
    info = info ++ path_deps ++ app ++ build_path ++ compilers(config, locals) ++ ignored(config[:hex])
    File.write!(path, for({key, value} <- info ++ projects, do: "#{key}\t#{value}\n"))
  end

  # For the mix.exs of the app, of an umbrella's apps and of path dependencies: the app, the path, a digest of the
  # text, and a digest of the project that it evaluates to. The digests are salted: mix.exs may contain values of
  # config vars, and the digests are cached.
  def projects(salt) do
    apps = Map.to_list(Mix.Project.apps_paths() || %{})
    paths = Mix.Project.deps_paths()
    deps = for name <- locals(), path = paths[name], File.exists?(Path.join(path, "mix.exs")), do: {name, path}

    others =
      for {app, path} <- apps ++ deps, uniq: true do
        file = Path.relative_to_cwd(Path.join(path, "mix.exs"))
        [app, file | Mix.Project.in_project(app, path, fn _ -> digests(salt) end)]
      end

    [[Mix.Project.config()[:app], "mix.exs" | digests(salt)] | others]
  rescue
    _ -> []
  end

  def line(project), do: Enum.join(project, "\t")

  defp digests(salt) do
    module = Mix.Project.get!()
    application = if function_exported?(module, :application, 0), do: module.application()
    [digest(File.read("mix.exs"), salt), digest({Mix.Project.config(), application}, salt)]
  end

  # `inspect` yields the same text in each VM, also for functions.
  defp digest(term, salt) do
    text = inspect(term, limit: :infinity, printable_limit: :infinity, custom_options: [sort_maps: true])
    Base.encode16(:erlang.md5([salt, text]), case: :lower)
  end

  defp locals do
    if function_exported?(Mix.Project, :deps_scms, 0),
      do: for({name, Mix.SCM.Path} <- Mix.Project.deps_scms(), do: name),
      else: []
  end

  # The advisories and retirements that Hex ignores (lib/hex/ignores.ex and lib/hex/state.ex of Hex 2.5.1). A variable
  # overrides mix.exs. Malformed entries are skipped, since Hex reports them.
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

  # Compilers that run no programs, including Mix's own. They aren't listed. Mix runs the compilers of the project, of
  # an umbrella's apps and of path dependencies whenever it starts (lib/mix/lib/mix/tasks/deps.loadpaths.ex).
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

  # The options may be a function (`find_release/2` of lib/mix/lib/mix/release.ex). `mix release` reports invalid
  # ones.
  defp release_path(options) do
    if path = options(options)[:path], do: Path.expand(path)
  rescue
    _ -> nil
  end

  defp overlays(options) do
    for path <- List.wrap(options(options)[:overlays]), do: Path.relative_to_cwd(Path.expand(path))
  rescue
    _ -> []
  end

  defp options(options), do: if(is_function(options, 0), do: options.(), else: options)
end

defmodule Mix.Tasks.Mixpack.Executables do
  @moduledoc false
  use Mix.Task

  # Fetches executables before a hook runs, since one that the hook fetches and removes again couldn't be cached. With
  # `--if-missing`, each task checks the installed version.
  @impl true
  def run([]) do
    for name <- ~w(esbuild tailwind sass bun), Mix.Task.get(name <> ".install") do
      Mix.Task.run(name <> ".install", ["--if-missing"])
    end
  rescue
    # If the hook needs them, it fails with its own message.
    error -> Mix.shell().error(Exception.message(error))
  end
end

defmodule Mix.Tasks.Mixpack.CodePaths do
  @moduledoc false
  use Mix.Task

  # Distillery needs applications of Erlang and Elixir that the project doesn't declare, such as sasl. Elixir 1.15 and
  # newer remove their directories from the code path (`prune_code_paths`).
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
    # Mix may remove their directory from the code path later.
    for task <- [
          Mixpack.CodePaths,
          Mixpack.Dependencies,
          Mixpack.Dependency,
          Mixpack.DepsFingerprint,
          Mixpack.Executables,
          Mixpack.FileReads,
          Mixpack.ProjectInfo,
          Mixpack.Reads,
          Mixpack.StaleDependencies
        ] do
      Code.ensure_loaded(Module.concat(Mix.Tasks, task))
    end

    Mix.Tasks.Mixpack.FileReads.start()
    loop(folder, builder, 1)
  end

  defp loop(folder, builder, number) do
    case command(Path.join(folder, "#{number}"), builder) do
      [] ->
        :ok

      [mark | tasks] ->
        # A task that an earlier command ran has to run again: files may have changed since. The config is reloaded
        # too, since it may depend on files in deps or _build. Dependencies are compiled with one config, as mix does.
        if not match?(["mixpack.dependency\t" <> _ | _], tasks) do
          Mix.Task.clear()
          Mix.Task.run("loadconfig")
        end

        for line <- tasks do
          [task | args] = String.split(line, "\t")
          Mix.Task.rerun(task, args)
        end

        Mix.Tasks.Mixpack.FileReads.write(Path.join(folder, "reads"))
        IO.puts(mark)
        IO.puts(:stderr, mark)
        loop(folder, builder, number + 1)
    end
  end

  defp command(path, builder) do
    cond do
      File.exists?(path) -> path |> File.read!() |> String.split("\n", trim: true)
      # The build has ended.
      not File.exists?("/proc/" <> builder) -> []
      true -> :timer.sleep(5) && command(path, builder)
    end
  end
end

defmodule Mix.Tasks.Mixpack.StaleDependencies do
  @moduledoc false
  use Mix.Task

  # Recompiles dependencies whose compile-time config has changed, and `named` ones. The values that a module read
  # with Application.compile_env are in its application's .app file. Mix compares them too, but fails if those of a
  # dependency have changed.
  #
  # Mix also doesn't recompile an app if its mix.exs is unchanged but evaluates to another project, for example
  # because it reads the version from a file. The file at `path` contains the projects of the last build. The task
  # replaces its content with the paths of the app's own mix.exs files for which the project has changed.
  @impl true
  def run([path, salt | named]) do
    dependencies = Mix.Project.deps_paths() |> Map.keys()
    own = Mix.Project.apps_paths() || %{}
    dependencies = Enum.map(dependencies -- Map.keys(own), &to_string/1)
    {local, own} = path |> File.read!() |> changed_projects(salt) |> Enum.split_with(&(elem(&1, 0) in dependencies))
    File.write!(path, for({_, file} <- own, do: file <> "\n"))
    for {name, file} <- local, do: Mix.shell().info("recompiling #{name}: #{file} evaluates to another project")
    named = named ++ for({name, _} <- local, do: name)
    stale = Enum.filter(dependencies, &(&1 in named or stale?(&1)))

    for name <- stale -- named do
      Mix.shell().info("recompiling #{name}: the config it was compiled with has changed")
    end

    users = for {name, child} <- users(stale) do
      Mix.shell().info("recompiling #{name}: it depends on #{child}")
      name
    end

    if stale != [], do: Mix.Task.run("deps.compile", stale ++ users ++ ["--force"])
  end

  # The fetched dependencies that depend on stale ones, each with one of them: their code may contain values of those.
  # Mix recompiles them too if it fetches another version (`with_depending/2` in lib/mix/lib/mix/dep/fetcher.ex).
  defp users([]), do: []

  defp users(stale) do
    # Children come first.
    for dep <- Mix.Dep.cached(), reduce: [] do
      users ->
        known = stale ++ Enum.map(users, &elem(&1, 0))
        name = to_string(dep.app)
        child = Enum.find(dep.deps, &(to_string(&1.app) in known))
        new? = child && name not in known && dep.scm.fetchable?()
        if new?, do: users ++ [{name, child.app}], else: users
    end
  end

  # If the text has changed, mix itself recompiles the app.
  defp changed_projects(last, salt) do
    last = last |> String.split("\n", trim: true) |> Enum.map(&String.split(&1, "\t"))

    for project <- Mix.Tasks.Mixpack.ProjectInfo.projects(salt),
        [app, file, text, now] = String.split(Mix.Tasks.Mixpack.ProjectInfo.line(project), "\t"),
        Enum.any?(last, fn then -> match?([^app, _, ^text, _], then) and List.last(then) != now end),
        do: {app, file}
  end

  defp stale?(name) do
    for({app, [key | path], then} <- read(name)[:compile_env] || [], do: {app, key, path, then})
    |> Enum.any?(fn {app, key, path, then} -> now(app, key, path) != then end)
  end

  # The value at run time: from the config, or the default in the application's own .app file.
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

defmodule Mix.Tasks.Mixpack.DepsFingerprint do
  @moduledoc false
  use Mix.Task

  # Writes the inputs of `mix deps.get` to `path` if it would leave deps unchanged: the dependencies that mix.exs,
  # umbrella children and dependencies declare, and the lockfile; or "no dependencies". `only` is the environment to
  # fetch for, or empty for all. Errors are ignored, since `mix deps.get` reports them better.
  @impl true
  def run([path, only]) do
    shell = Mix.shell()
    # Hide messages: the next command reports any error.
    Mix.shell(Mix.Shell.Process)

    try do
      with {:ok, inputs} <- inputs(only), do: File.write!(path, inputs)
    catch
      _, _ -> :not_up_to_date
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
      Keyword.has_key?(config[:aliases] || [], :"deps.get") -> :not_up_to_date
      deps == [] -> {:ok, "no dependencies"}
      Enum.any?(deps, &(to_fetch?(&1) or depends_on_local?(&1, deps))) -> :not_up_to_date
      true -> {:ok, fingerprint(config, deps)}
    end
  end

  defp fingerprint(config, deps) do
    hex = if Code.ensure_loaded?(Hex), do: apply(Hex, :version, [])
    declarations = {config[:deps], Enum.map(deps, &{declaration(&1), Enum.map(&1.deps, fn dep -> declaration(dep) end)})}
    all = {System.version(), hex, declarations, File.read(config[:lockfile])}
    inspect(all, limit: :infinity, printable_limit: :infinity)
  end

  # The same conditions as in `do_fetch/3` and `do_finalize/3` (lib/mix/lib/mix/dep/fetcher.ex).
  defp to_fetch?(dep) do
    case Mix.Dep.check_lock(dep) do
      %{status: {:lockmismatch, _}} -> true
      %{status: :lockoutdated} -> true
      %{status: :nolock} -> true
      dep -> not Mix.Dep.available?(dep)
    end
  end

  # Each `mix deps.get` marks such a dependency for recompilation.
  defp depends_on_local?(dep, deps) do
    local? = fn child -> Enum.any?(deps, &(&1.app == child.app and not &1.scm.fetchable?())) end
    dep.scm.fetchable?() and Enum.any?(dep.deps, local?)
  end

  # The parts of a dependency that are the same before and after it is compiled.
  defp declaration(dep) do
    {dep.app, dep.requirement, dep.scm, Keyword.drop(dep.opts, [:app_properties, :lock])}
  end
end
